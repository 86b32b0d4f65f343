"""Pictures of a page into one that moves, with nothing but the browser that took them.

The browser finds what differs between one picture and the next and packs it as WebP; here the parts are put into the
container of an animation (the WebP container specification, "Extended File Format" and "Animation").
"""

import base64
import struct
from collections.abc import Iterator, Sequence

from msgspec import Struct, convert
from playwright.async_api import Page

MOVES = 0x02
DOES_NOT_BLEND = 0x02

# Each picture but the first is cut to what has changed since; places are even, as the container wants them.
CUT = """async ([pictures, quality]) => {
  const parts = [];
  let before;
  for (const picture of pictures) {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const { width, height } = image;
    const whole = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, willReadFrequently: true });
    whole.drawImage(image, 0, 0);
    const now = new Uint32Array(whole.getImageData(0, 0, width, height).data.buffer);
    let [left, top, right, bottom] = before ? [width, height, 0, 0] : [0, 0, width, height];
    if (before) {
      now.forEach((pixel, at) => {
        if (pixel === before[at]) return;
        const [x, y] = [at % width, Math.floor(at / width)];
        [left, top, right, bottom] = [
          Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1),
        ];
      });
    }
    before = now;
    const [x, y] = right > left ? [left & ~1, top & ~1] : [0, 0];
    const [wide, high] = right > left ? [right - x, bottom - y] : [1, 1];
    const part = new OffscreenCanvas(wide, high);
    part.getContext("2d", { alpha: false }).drawImage(image, -x, -y);
    const packed = new Uint8Array(await (await part.convertToBlob({ type: "image/webp", quality })).arrayBuffer());
    const webp = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""));
    parts.push({ x, y, width: wide, height: high, webp });
  }
  return parts;
}"""


class Part(Struct):
    x: int
    y: int
    width: int
    height: int
    webp: bytes


async def animate(page: Page, pictures: Sequence[bytes], milliseconds: Sequence[int], *, quality: float) -> bytes:
    """`pictures` are PNG files of one size; each is shown for as long as is said beside it, for ever in turn."""
    encoded = [base64.b64encode(picture).decode() for picture in pictures]
    parts = convert(await page.evaluate(CUT, [encoded, quality]), list[Part])
    size = bytes([MOVES, 0, 0, 0]) + _three(parts[0].width - 1) + _three(parts[0].height - 1)
    frames = (_frame(part, shown) for part, shown in zip(parts, milliseconds, strict=True))
    body = b"WEBP" + _chunk(b"VP8X", size) + _chunk(b"ANIM", bytes(6)) + b"".join(frames)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _frame(part: Part, milliseconds: int) -> bytes:
    places = (part.x // 2, part.y // 2, part.width - 1, part.height - 1, milliseconds)
    picture = b"".join(_chunk(name, data) for name, data in _chunks(part.webp) if name in (b"VP8 ", b"VP8L"))
    return _chunk(b"ANMF", b"".join(map(_three, places)) + bytes([DOES_NOT_BLEND]) + picture)


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(b"RIFF....WEBP")
    while at < len(file):
        name, length = struct.unpack_from("<4sI", file, at)
        yield name, file[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")
