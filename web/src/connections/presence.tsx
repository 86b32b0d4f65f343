import type { MemberShown as Person } from "../api/schema.ts";
import { useWordsOfPeople } from "./words.ts";

/** Whether they are there just now; nothing of who does not say. */
export function Presence({ person: { present } }: { person: Person }) {
  const t = useWordsOfPeople();
  if (present === null) return null;
  const words = t(present ? "present" : "absent");
  return (
    <span className={present ? "presence there" : "presence"} title={words}>
      <span className="visually-hidden">({words})</span>
    </span>
  );
}

export function Avatar({ name }: { name: string }) {
  return (
    <span className="avatar" aria-hidden="true">
      {[...name][0]?.toLocaleUpperCase()}
    </span>
  );
}
