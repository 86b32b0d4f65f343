import { type RefObject, useEffect, useRef } from "react";

/** For the heading of a page: whoever came here by something that is gone with the page before goes on from there. */
export function useArrival(): RefObject<HTMLHeadingElement | null> {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (document.activeElement === null || document.activeElement === document.body) heading.current?.focus();
  }, []);
  return heading;
}
