"use strict";
const search = document.getElementById("q");
const sort = document.getElementById("sort");
const shown = document.getElementById("shown");
const rows = [...document.querySelectorAll(".endpoints li:not(.group)")];
const groups = [...document.querySelectorAll(".endpoints li.group")];
const changes = [...document.querySelectorAll(".changes li")];
const sections = [...document.querySelectorAll("section:has(li)")];

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const narrowed = (items) => {
    for (const item of items) item.hidden = !words.every((word) => item.dataset.words.includes(word));
    return items.filter((item) => !item.hidden).length;
  };
  const [count, changed] = [narrowed(rows), narrowed(changes)];
  showGroups();
  for (const section of sections) {
    const items = [...section.querySelectorAll("li:not(.group)")];
    const left = items.filter((item) => !item.hidden).length;
    section.hidden = left === 0;
    section.querySelector(".count").textContent = left === items.length ? left : `${left} of ${items.length}`;
  }
  // The address contains the filter, so that it can be sent to somebody and survives a reload.
  const state = new URLSearchParams();
  if (search.value) state.set("q", search.value);
  if (sort.value !== "path") state.set("sort", sort.value);
  history.replaceState(null, "", state.size ? `#${state}` : location.pathname + location.search);
  document.getElementById("nothing").hidden = count + changed > 0 || rows.length + changes.length === 0;
  const told = changes.length ? `, and ${changed} of ${changes.length} changes` : "";
  shown.textContent = words.length ? `${count} of ${rows.length}${told}` : "";
}

// A heading for each first segment, unless there is only one, or the rows are sorted in another way.
function showGroups() {
  for (const group of groups) {
    const several = group.parentElement.querySelectorAll(".group").length > 1;
    let row = group.nextElementSibling;
    while (row && !row.classList.contains("group") && row.hidden) row = row.nextElementSibling;
    group.hidden = !several || sort.value !== "path" || !row || row.classList.contains("group");
  }
}

// Any age at all is the oldest; what asks for no method comes first, as what asks for least.
const age = (row) => (row.dataset.age === "" ? Infinity : Number(row.dataset.age));
const orders = {
  path: () => 0,
  age: (one, other) => (age(one) === age(other) ? 0 : age(other) - age(one)),
  methods: (one, other) => one.dataset.methods.localeCompare(other.dataset.methods),
};

function order() {
  for (const list of document.querySelectorAll(".endpoints")) {
    const own = rows.filter((row) => row.parentElement === list);
    // By path, each heading stays in front of its rows.
    const items = sort.value === "path" ? original.get(list) : own.sort(orders[sort.value]);
    list.append(...items);
  }
  filter();
}

const original = new Map([...document.querySelectorAll(".endpoints")].map((list) => [list, [...list.children]]));

function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  search.value = state.get("q") ?? "";
  sort.value = orders[state.get("sort")] ? state.get("sort") : "path";
  order();
}

search.addEventListener("input", filter);
sort.addEventListener("change", order);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && document.activeElement === search) {
    search.value = "";
    filter();
    search.blur();
  }
});
window.addEventListener("hashchange", restore);
restore();
