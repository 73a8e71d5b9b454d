// Questions to the server: one at a time, and of those that wait only the newest.
const TROUBLE = document.querySelector(".trouble[role=alert]");

export class Asker {
  #waiting = null;
  #busy = false;
  #era = 0;

  /** `place` is marked busy until every question about it is answered. */
  constructor(address, place, onAnswer) {
    this.address = address;
    this.place = place;
    this.onAnswer = onAnswer;
  }

  ask(question) {
    this.#waiting = question;
    if (!this.#busy) this.#work();
  }

  /** Forget what was asked; an answer on its way is dropped. */
  forget() {
    this.#waiting = null;
    this.#era++;
  }

  async #work() {
    this.#busy = true;
    this.place.ariaBusy = "true";
    while (this.#waiting) {
      const question = this.#waiting;
      const era = this.#era;
      this.#waiting = null;
      const answer = await fetchJSON(this.address, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(question),
      });
      if (answer && era === this.#era) this.onAnswer(answer);
    }
    this.#busy = false;
    this.place.ariaBusy = "false";
  }
}

/** JSON from the server, or null with a message on the page. */
export async function fetchJSON(address, options) {
  try {
    const response = await fetch(address, options);
    const answer = await response.json();
    tell(response.ok ? "" : answer.error);
    return response.ok ? answer : null;
  } catch {
    tell("The server has stopped. Start “lightconv demo” again and open the address that it tells.");
    return null;
  }
}

function tell(sentence) {
  if (TROUBLE.textContent !== sentence) TROUBLE.textContent = sentence;
  TROUBLE.hidden = !sentence;
}
