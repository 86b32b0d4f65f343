/** All icons of the app, drawn as one: 24 wide, one line of the text's own colour. */

const SHAPES = {
  archive: "M4 5h16v4H4zM6 9v10h12V9M10 13h4",
  back: "M14.5 6.5 9 12l5.5 5.5",
  bot: "M12 4v3M6 8.5h12a2 2 0 0 1 2 2V17a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2v-6.5a2 2 0 0 1 2-2zM9 13v1.5M15 13v1.5",
  book: "M5 5.5A2 2 0 0 1 7 3.5h12v13H7a2 2 0 0 0-2 2zM5 18.5a2 2 0 0 0 2 2h12v-4M9 7.5h6",
  check: "M5 12.5 10 17.5 19 7.5",
  close: "M6.5 6.5 17.5 17.5M17.5 6.5 6.5 17.5",
  copy: "M9 9h10v10H9zM5 15V5h10",
  down: "M12 5v14M6 13l6 6 6-6",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  file: "M6 3.5h8l4 4v13H6zM14 3.5v4h4M9 12h6M9 15.5h6",
  forth: "M9.5 6.5 15 12l-5.5 5.5",
  link: "M10 14a3.5 3.5 0 0 0 5 0l3-3a3.5 3.5 0 0 0-5-5l-1 1M14 10a3.5 3.5 0 0 0-5 0l-3 3a3.5 3.5 0 0 0 5 5l1-1",
  globe:
    "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM3.5 12h17M12 3.5c3 3 3 14 0 17M12 3.5c-3 3-3 14 0 17",
  help: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M12 16.5v.2",
  history: "M4.5 12a7.5 7.5 0 1 0 2.5-5.6M4.5 4.5v3.5h3.5M12 8v4.5l3 1.8",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-2.5 4 3.5M15.5 9.2v.2",
  menu: "M4 7h16M4 12h16M4 17h10",
  more: "M5.5 11.5h1v1h-1zM11.5 11.5h1v1h-1zM17.5 11.5h1v1h-1z",
  new: "M12 5v14M5 12h14",
  out: "M14 5h5v14h-5M4 12h11M8 8l-4 4 4 4",
  person: "M12 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM5 19.5c.8-3.5 3.5-5 7-5s6.2 1.5 7 5",
  pin: "M9 4h6l-.8 6 3.3 3v1.5h-11V13l3.3-3zM12 14.5V20",
  retry: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4",
  search: "M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM16 16l4 4",
  send: "M12 19V5M6 11l6-6 6 6",
  settings: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4M4 12h16",
  share:
    "M16 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM7 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM16 21a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM9.2 10.8l4.6-3.6M9.2 13.2l4.6 3.6",
  shield: "M12 3.5 5 6.5v5c0 4.3 2.9 7.7 7 9 4.1-1.3 7-4.7 7-9v-5zM9 12l2.2 2.2L15.2 10",
  spark: "M12 4l1.8 5.2L19 11l-5.2 1.8L12 18l-1.8-5.2L5 11l5.2-1.8z",
  stop: "M8 8h8v8H8z",
  theme: "M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17",
  trash: "M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12M10.5 10.5v5M13.5 10.5v5",
  upload: "M12 16V5M7 10l5-5 5 5M5 19.5h14",
  warn: "M12 4 3.5 19h17zM12 10v4M12 16.5v.2",
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={SHAPES[name]} />
    </svg>
  );
}
