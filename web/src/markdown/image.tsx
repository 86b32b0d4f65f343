/** An image that lies elsewhere. Fetching it tells that place who reads, and when: it is not fetched until asked for. */

import { type ComponentProps, useState } from "react";
import { Icon } from "../parts/icon.tsx";
import { useWords } from "../words/index.ts";
import { imageAt } from "./addresses.ts";

export function RemoteImage({ src, alt }: ComponentProps<"img">) {
  const t = useWords();
  const [wanted, setWanted] = useState(false);
  const place = typeof src === "string" ? imageAt(src) : null;
  if (place === null) return <span className="no-image">{alt}</span>;
  if (wanted) return <img src={place.href} alt={alt ?? ""} referrerPolicy="no-referrer" loading="lazy" />;
  return (
    <button type="button" className="remote-image" onClick={() => setWanted(true)}>
      <Icon name="image" />
      <span>{alt || t("image")}</span>
      <small>{t("image.load", { place: place.shown })}</small>
    </button>
  );
}
