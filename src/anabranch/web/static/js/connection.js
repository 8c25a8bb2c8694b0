// The event stream: reconnects by itself and knows when the line is dead.

const SILENCE_MS = 15000;

/** Calls handlers.data(snapshot), handlers.beat(now) and handlers.link(state). */
export class Connection {
  constructor(handlers) {
    this.handlers = handlers;
    this.experiment = null;
    this.attempt = 0;
    this.source = null;
    this.timers = {};
    window.addEventListener("online", () => this.open());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  /** Show another experiment, or the list alone. */
  select(experiment) {
    this.experiment = experiment;
    this.open();
  }

  open() {
    this.close();
    const query = this.experiment ? `?experiment=${encodeURIComponent(this.experiment)}` : "";
    const source = (this.source = new EventSource(`/events${query}`));
    source.addEventListener("snapshot", (event) => {
      this.heard();
      this.handlers.data(JSON.parse(event.data));
    });
    source.addEventListener("heartbeat", (event) => {
      this.heard();
      this.handlers.beat(JSON.parse(event.data).now);
    });
    source.addEventListener("error", () => this.lost());
    this.watch();
  }

  close() {
    clearTimeout(this.timers.silence);
    clearTimeout(this.timers.again);
    this.source?.close();
    this.source = null;
  }

  heard() {
    this.attempt = 0;
    this.handlers.link("live");
    this.watch();
  }

  watch() {
    clearTimeout(this.timers.silence);
    this.timers.silence = setTimeout(() => this.lost(), SILENCE_MS);
  }

  /** A new stream starts from the whole state, so nothing is missed. */
  lost() {
    this.close();
    this.handlers.link("lost");
    const wait = Math.min(10000, 1000 * 2 ** this.attempt++);
    this.timers.again = setTimeout(() => this.open(), wait);
  }
}
