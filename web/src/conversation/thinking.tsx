import { useEffect, useState } from "react";
import { useWords } from "../words/index.ts";

const LONG = 8;

/** Before the first word. After a while it says for how long: the wait is real, and so is what is shown of it. */
export function Thinking({ whole }: { whole: boolean }) {
  const t = useWords();
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSeconds((before) => before + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const words = whole ? t("thinking.whole") : t("thinking");
  return (
    <p className="thinking">
      <span className="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      {seconds < LONG ? words : `${words} ${t("thinking.seconds", { n: seconds })}`}
    </p>
  );
}
