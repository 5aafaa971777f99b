"use strict";
const search = document.getElementById("q");
const sort = document.getElementById("sort");
const shown = document.getElementById("shown");
const rows = [...document.querySelectorAll(".endpoints li")];
const changes = [...document.querySelectorAll(".changes li")];
const sections = [...document.querySelectorAll("section:has(li)")];

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const narrowed = (items) => {
    for (const item of items) item.hidden = !words.every((word) => item.dataset.words.includes(word));
    return items.filter((item) => !item.hidden).length;
  };
  const [count, changed] = [narrowed(rows), narrowed(changes)];
  for (const section of sections) section.hidden = !section.querySelector("li:not([hidden])");
  document.getElementById("nothing").hidden = count + changed > 0 || rows.length + changes.length === 0;
  const told = changes.length ? `, and ${changed} of ${changes.length} changes` : "";
  shown.textContent = words.length ? `${count} of ${rows.length}${told}` : "";
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
    list.append(...own.sort(orders[sort.value]));
  }
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
