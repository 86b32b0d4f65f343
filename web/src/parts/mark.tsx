/** The app's sign: two who talk. */
export function Mark({ named = true }: { named?: boolean }) {
  return (
    <span className="mark">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <path
          className="mark-one"
          d="M4 12.500C4 7.800 8 4 13 4s9 3.800 9 8.500S18 21 13 21c-.9 0-1.800-.1-2.600-.4L5 23l1.200-5C4.800 16.500 4 14.600 4 12.500z"
        />
        <path
          className="mark-other"
          d="M24 12.200c2.500 1.300 4.200 3.700 4.200 6.500 0 1.700-.6 3.200-1.700 4.500l.8 4.300-4.300-1.700c-1 .3-1.900.5-3 .5-3 0-5.700-1.400-7.100-3.600 6.300 0 11.300-4.600 11.100-10.500z"
        />
      </svg>
      {named && <span>Palaver</span>}
    </span>
  );
}
