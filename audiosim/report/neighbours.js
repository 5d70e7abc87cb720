// Players of excerpts that stand in the page once, however often they are played. One plays at a time.
"use strict";
(() => {
const players = [...document.querySelectorAll("audio[data-sound]")];
for (const player of players) {
  player.src = `data:audio/flac;base64,${document.getElementById(player.dataset.sound).textContent.trim()}`;
  player.addEventListener("play", () => {
    for (const other of players) if (other !== player) other.pause();
  });
}
})();
