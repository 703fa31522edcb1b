// Doing something again and again while somebody looks: not in a hidden tab, never twice at the same time.

export class Ticker {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  #work: () => Promise<void>;
  #pause: () => number | null;

  /** `pause`: milliseconds until the next time; `null`: look again in a second. */
  constructor(work: () => Promise<void>, pause: () => number | null) {
    this.#work = work;
    this.#pause = pause;
    this.#wait();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#tick(), this.#pause() ?? 1000);
  }

  async #tick(): Promise<void> {
    try {
      if (!document.hidden && this.#pause() !== null) await this.#work();
    } finally {
      this.#wait();
    }
  }
}
