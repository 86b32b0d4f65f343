/** All icons of the app, drawn as one: 24 wide, one line of the text's own colour. */

const SHAPES = {
  archive: "M4 5h16v4H4zM6 9v10h12V9M10 13h4",
  back: "M14.5 6.5 9 12l5.5 5.5",
  bot: "M12 4v3M6 8.5h12a2 2 0 0 1 2 2V17a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2v-6.500a2 2 0 0 1 2-2zM9 13v1.500M15 13v1.500",
  check: "M5 12.5 10 17.500 19 7.500",
  close: "M6.500 6.500 17.500 17.500M17.500 6.500 6.500 17.500",
  copy: "M9 9h10v10H9zM5 15V5h10",
  down: "M12 5v14M6 13l6 6 6-6",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  forth: "M9.500 6.500 15 12l-5.500 5.500",
  link: "M10 14a3.500 3.500 0 0 0 5 0l3-3a3.500 3.500 0 0 0-5-5l-1 1M14 10a3.500 3.500 0 0 0-5 0l-3 3a3.500 3.500 0 0 0 5 5l1-1",
  globe:
    "M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM3.500 12h17M12 3.500c3 3 3 14 0 17M12 3.500c-3 3-3 14 0 17",
  help: "M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.3-1 .8-1 1.700M12 16.500v.2",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-2.500 4 3.500M15.500 9.200v.2",
  menu: "M4 7h16M4 12h16M4 17h10",
  more: "M5.5 11.500h1v1h-1zM11.500 11.500h1v1h-1zM17.500 11.500h1v1h-1z",
  new: "M12 5v14M5 12h14",
  out: "M14 5h5v14h-5M4 12h11M8 8l-4 4 4 4",
  person:
    "M12 4.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM5 19.500c.8-3.500 3.500-5 7-5s6.200 1.500 7 5",
  retry: "M19 12a7 7 0 1 1-2.200-5.100M19 4v4h-4",
  send: "M12 19V5M6 11l6-6 6 6",
  settings: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4M4 12h16",
  shield:
    "M12 3.500 5 6.500v5c0 4.300 2.900 7.700 7 9 4.100-1.300 7-4.700 7-9v-5zM9 12l2.200 2.200L15.200 10",
  spark: "M12 4l1.800 5.200L19 11l-5.200 1.800L12 18l-1.800-5.200L5 11l5.200-1.800z",
  stop: "M8 8h8v8H8z",
  theme: "M12 3.500a8.500 8.500 0 1 0 0 17zM12 3.500a8.500 8.500 0 0 1 0 17",
  trash: "M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12M10.500 10.500v5M13.500 10.500v5",
  warn: "M12 4 3.500 19h17zM12 10v4M12 16.500v.2",
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={SHAPES[name]} />
    </svg>
  );
}
