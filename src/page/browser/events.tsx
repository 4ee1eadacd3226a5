/** What happened: entries of the logs of the meters, and what the gateway found. */
import type { EventsAnswer } from './answers.ts';
import { t } from './language.ts';
import { useAsked } from './live.ts';
import { Answered } from './parts.tsx';
import { fullTime, withLocalTimes } from './words.ts';

const maxShown = 200;
export function EventList({ events }: { readonly events: EventsAnswer['events'] }) {
  if (events.length === 0) return <p>{t('eventsNone')}</p>;
  return (
    <ul class="events">
      {events.slice(0, maxShown).map(({ at, meter, event, words }) => (
        <li>
          <span class="small">
            {at === null ? '–' : fullTime(at)} ·{' '}
            {meter === null ? t('gateway') : <a href={`#/meter/${encodeURIComponent(meter)}`}>{meter}</a>}
          </span>
          <p>
            <code>{event}</code> <span lang="en">{withLocalTimes(words)}</span>
          </p>
        </li>
      ))}
    </ul>
  );
}

export function Events() {
  const asked = useAsked<EventsAnswer>('/v1/events', 15_000);
  return (
    <>
      <h1>{t('events')}</h1>
      <Answered asked={asked}>{({ events }) => <EventList events={events} />}</Answered>
    </>
  );
}
