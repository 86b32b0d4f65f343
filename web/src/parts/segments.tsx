import { useId } from "react";

interface SegmentsProps<T extends string> {
  label: string;
  /** With the words for each. */
  options: readonly (readonly [T, string])[];
  chosen: T;
  onChoose: (one: T) => void;
}

/** One of a few, all in view. */
export function Segments<T extends string>({ label, options, chosen, onChoose }: SegmentsProps<T>) {
  const id = useId();
  return (
    <fieldset className="segments" aria-label={label}>
      {options.map(([one, words]) => (
        <label key={one}>
          <input type="radio" name={id} checked={one === chosen} onChange={() => onChoose(one)} />
          <span>{words}</span>
        </label>
      ))}
    </fieldset>
  );
}
