// Shows the functions all of whose search words stand in one of their names, families, properties or peers.
const find = document.getElementById("find");
const cards = [...document.querySelectorAll(".card")];
function filter() {
  const words = find.value.toLowerCase().trim().split(/\s+/);
  for (const card of cards) card.hidden = !words.every(word => card.dataset.words.includes(word));
  const left = cards.filter(card => !card.hidden).length;
  document.getElementById("found").textContent = `${left} of ${cards.length}`;
  history.replaceState(null, "", find.value ? `#find=${encodeURIComponent(find.value)}` : location.pathname);
}
if (location.hash.startsWith("#find=")) find.value = decodeURIComponent(location.hash.slice(6));
find.addEventListener("input", filter);
filter();
