// What a screen reader says, when things have come to rest.
const PLACE = document.getElementById("spoken");
let timer = 0;

export function speak(sentence, delay = 0) {
  clearTimeout(timer);
  timer = setTimeout(() => (PLACE.textContent = sentence), delay);
}
