// Shows the page that the part of the address after # names, and sets the theme.
const sections = new Map(
  [...document.querySelectorAll("[data-page]")].map((section) => [section.dataset.page, section]),
);
const placeOf = new Map(data.ids.map((id, job) => [id, job]));
const title = document.title;

function route() {
  const [, page = "", rest = ""] =
    /^#\/([a-z]*)(?:\/(.*))?$/.exec(location.hash) ?? [];
  if (page !== "job") return { page: page === "" ? "overview" : page };
  try {
    return { page, job: placeOf.get(decodeURIComponent(rest)) };
  } catch {
    return { page };
  }
}

function show(focus) {
  const elsewhere = location.hash && !location.hash.startsWith("#/");
  if (focus && elsewhere) return; // a place inside the current page
  let { page, job } = route();
  if (!sections.has(page) || (page === "job" && job === undefined)) page = "missing";
  for (const [name, section] of sections) section.hidden = name !== page;
  for (const link of document.querySelectorAll("[data-nav]")) {
    const here = link.dataset.nav === page || (page === "job" && link.dataset.nav === "jobs");
    if (here) link.setAttribute("aria-current", link.dataset.nav === page ? "page" : "true");
    else link.removeAttribute("aria-current");
  }
  const section = sections.get(page);
  if (page === "job") showJob(section, job);
  drawAll(section);
  const heading = section.querySelector("h1");
  document.title = page === "overview" ? title : `${heading.textContent} – ${title}`;
  if (focus) {
    heading.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

const THEMES = ["system", "light", "dark"];

// Some browsers store nothing for local files; then the theme lasts until the page is closed.
function storedTheme(theme) {
  try {
    if (theme) localStorage.setItem("tokenergy-theme", theme);
    return localStorage.getItem("tokenergy-theme");
  } catch {
    return theme;
  }
}

function setTheme(theme) {
  const chosen = THEMES.includes(theme) ? theme : "system";
  document.documentElement.dataset.theme = chosen;
  byId("theme").lastElementChild.textContent = `Theme: ${chosen}`;
}

function startTheme() {
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme;
    setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
    storedTheme(document.documentElement.dataset.theme);
  });
  setTheme(storedTheme());
}

byId("no-script").hidden = true;
startTheme();
startTable();
addEventListener("hashchange", () => show(true));
show(false);
