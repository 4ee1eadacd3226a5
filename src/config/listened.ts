/** Meters that only push, as the other rooms know a meter. */
import * as v from 'valibot';
import { type Config, meterSchema } from './schema.ts';

type ListenedMeter = Config['listen'][number]['meter'][number];

/** With what nobody writes of a meter that is never asked: it is entered by nobody. */
export const listenedMeter = (given: ListenedMeter): Config['port'][number]['meter'][number] =>
  v.parse(meterSchema, given);

/** A line on which nobody is asked, as plans of meters see it. */
export const listenedPort = (listen: Config['listen'][number]): Config['port'][number] => ({
  name: listen.name,
  device: listen.device,
  link: listen.link === 'wrapper' ? 'wrapper' : 'hdlc',
  mode_e: false,
  baud: listen.baud,
  direction: 'auto',
  guard_ms: 0,
  answer_timeout_ms: 1500,
  retries: 0,
  meter: listen.meter.map(listenedMeter),
});

/** Every meter of a configuration, asked or only heard. */
export const everyMeter = ({ port, listen }: Config): Config['port'][number]['meter'] => [
  ...port.flatMap(({ meter }) => meter),
  ...listen.flatMap(({ meter }) => meter.map(listenedMeter)),
];
