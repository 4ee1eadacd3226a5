/** How each line serves its meters: who answers how quickly, and what of its time is waited in vain. */
import type { Capacity } from '../../commission/capacity.ts';
import type { PortUses } from '../../status/line-trace.ts';
import type { Snapshot } from '../../status/snapshot.ts';
import { t } from './language.ts';
import { useAsked } from './live.ts';
import { Answered, Table } from './parts.tsx';
import { decimal, duration } from './words.ts';

function CapacityWords({ port }: { readonly port: string }) {
  const { value } = useAsked<Capacity>(`/v1/capacity?port=${encodeURIComponent(port)}`, 60_000);
  return value?.pollMs != null && value.fits !== null ? (
    <p>{t('capacityOf', decimal(Math.round(value.pollMs / 100), -1), value.fits)}</p>
  ) : null;
}

export function Lines({ snapshot }: { readonly snapshot: Snapshot }) {
  const asked = useAsked<readonly PortUses[]>('/v1/lines', 10_000);
  const status = new Map(snapshot.ports.flatMap(({ meters }) => meters).map((one) => [one.meter, one]));
  return (
    <>
      <h1>{t('lines')}</h1>
      <Answered asked={asked}>
        {(ports) =>
          ports.map(({ port, device, uses }) => (
            <section>
              <h2>{t('bus', port)}</h2>
              <p class="small">
                {device} · {t('wastedWords', duration(uses.reduce((sum, { wastedS }) => sum + wastedS, 0)))}
              </p>
              <CapacityWords port={port} />
              <Table
                caption={`${t('lines')} ${port}`}
                head={[
                  t('meterColumn'),
                  t('damaged'),
                  t('repeated'),
                  t('answeredColumn'),
                  t('wasted'),
                  t('answerTimes'),
                  t('turnAround'),
                ]}
                rows={uses.map(({ meter, asked: questions, answered, p50Ms, p95Ms, turnAroundMs, wastedS }) => [
                  <a href={`#/meter/${encodeURIComponent(meter)}`}>{meter}</a>,
                  status.get(meter)?.damagedFrames ?? '–',
                  status.get(meter)?.repeatedFrames ?? '–',
                  `${answered} / ${questions}`,
                  duration(wastedS),
                  p50Ms === null ? '–' : `${p50Ms} / ${p95Ms ?? '–'} ms`,
                  turnAroundMs === null ? '–' : `${Math.round(turnAroundMs)} ms`,
                ])}
              />
            </section>
          ))
        }
      </Answered>
    </>
  );
}
