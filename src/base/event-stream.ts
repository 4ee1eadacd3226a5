/** What a work puts out, for whoever takes it one by one. */

/**
 * The events in their order, while the work goes on. What it throws comes after the last of them. Where `left` is given it
 * asks the work to end, and whoever leaves the loop waits for that; else the work goes on by itself.
 */
export async function* eventsOf<Event>(
  work: (put: (event: Event) => void) => Promise<void>,
  left?: () => void,
): AsyncGenerator<Event, void> {
  const events: Event[] = [];
  let wake = (): void => {};
  let ended = false;
  const put = (event: Event): void => {
    events.push(event);
    wake();
  };
  const done = work(put).finally(() => {
    ended = true;
    wake();
  });
  done.catch(() => {});
  try {
    for (;;) {
      for (let event = events.shift(); event !== undefined; event = events.shift()) yield event;
      if (ended) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    await done;
  } finally {
    left?.();
    if (left) await done.catch(() => {});
  }
}
