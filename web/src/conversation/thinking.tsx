import { useEffect, useState } from "react";
import { useWords } from "../words/index.ts";

const LONG = 8;

interface ThinkingProps {
  /** Of an answer that is shown only once it is whole: how many words there are so far. */
  words: number;
}

/** Before the first word. After a while it says for how long: the wait is real, and so is what is shown of it. */
export function Thinking({ words }: ThinkingProps) {
  const t = useWords();
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSeconds((before) => before + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const told = [
    words > 0 ? t("thinking.whole") : t("thinking"),
    words > 0 ? t("thinking.words", { n: words }) : "",
    seconds < LONG ? "" : t("thinking.seconds", { n: seconds }),
  ];
  return (
    <p className="thinking">
      <Dots />
      {told.filter(Boolean).join(" ")}
    </p>
  );
}

export function Dots() {
  return (
    <span className="dots" aria-hidden="true">
      <i />
      <i />
      <i />
    </span>
  );
}
