// What a screen reader says: notes at once, an answer when things have come to rest. A note does not silence an answer.
const PLACE = document.getElementById("spoken");
let answer = 0;

export function speak(sentence, delay = 0) {
  if (delay || !sentence) clearTimeout(answer);
  const timer = setTimeout(() => (PLACE.textContent = sentence), delay);
  if (delay) answer = timer;
}
