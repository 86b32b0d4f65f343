/** What the browser's tab is called: the page, and how much there is that nobody has read. */

let page = "";
let news = 0;

export function showTitle(title: string): void {
  page = title;
  show();
}

export function showNews(count: number): void {
  news = count;
  show();
}

function show(): void {
  const whole = page === "" ? "Palaver" : `${page} · Palaver`;
  document.title = news > 0 ? `(${news}) ${whole}` : whole;
}
