/** What bills and statements say, in Finnish and English. */
import { decimal } from '../base/words.ts';
import { type CorrectionReason, correctionReasons, type Hours, type Line } from './bill.ts';
import { addDays, type Day, localWords } from './local-time.ts';
import type { Standing } from './point-series.ts';
import type { Difference, LookDifference } from './statement.ts';

export type Language = 'fi' | 'en';
interface Words {
  readonly bill: string;
  readonly statement: string;
  readonly customer: string;
  readonly contract: string;
  readonly point: string;
  readonly period: string;
  readonly made: string;
  readonly use: string;
  readonly production: string;
  readonly carried: string;
  readonly correction: (bill: string, period: string) => string;
  readonly was: string;
  readonly is: string;
  readonly total: string;
  readonly totalFed: string;
  readonly hours: string;
  readonly reasons: Readonly<Record<CorrectionReason, string>>;
  readonly standing: Readonly<Record<Standing, string>>;
  readonly meter: string;
  readonly first: string;
  readonly last: string;
  readonly unknown: string;
  readonly seriesSum: string;
  readonly advance: string;
  readonly series: string;
  readonly digest: string;
  readonly hour: string;
  readonly estimates: string;
}
export const words: Readonly<Record<Language, Words>> = {
  en: {
    bill: 'Electricity bill',
    statement: 'Statement of metering',
    customer: 'Customer',
    contract: 'Contract',
    point: 'Metering point',
    period: 'Period',
    made: 'Made',
    use: 'Use of the period',
    production: 'Fed into the grid',
    carried: 'Use since the last reading that was billed',
    correction: (bill, period) => `Correction of bill ${bill} (${period})`,
    was: 'was',
    is: 'is',
    total: 'Total',
    totalFed: 'Total fed into the grid',
    hours: 'Hours',
    reasons: correctionReasons,
    standing: {
      measured: 'measured',
      outage: 'without mains, zero proven',
      edited: 'corrected by a person',
      uncertain: 'measured, uncertain',
      estimated: 'estimated',
      final: 'estimated for good',
      missing: 'missing',
    },
    meter: 'Meter',
    first: 'register at first',
    last: 'register at last',
    unknown: 'not known',
    seriesSum: 'Sum of the series',
    advance: 'Advance of the register',
    series: 'The bill is the sum of the hourly series of the metering point, not a difference of registers.',
    digest: 'Digest',
    hour: 'Hour',
    estimates: 'Estimated hours are corrected on the next bill when their measured values come.',
  },
  fi: {
    bill: 'Sähkölasku',
    statement: 'Mittauserittely',
    customer: 'Asiakas',
    contract: 'Sopimus',
    point: 'Käyttöpaikka',
    period: 'Laskutuskausi',
    made: 'Laadittu',
    use: 'Kauden kulutus',
    production: 'Syöttö verkkoon',
    carried: 'Kulutus viimeisestä laskutetusta lukemasta',
    correction: (bill, period) => `Laskun ${bill} oikaisu (${period})`,
    was: 'oli',
    is: 'on',
    total: 'Yhteensä',
    totalFed: 'Syöttö verkkoon yhteensä',
    hours: 'Tunnit',
    reasons: {
      MEASURED: 'mitattu arvo saapui',
      REGISTER_KNOWN: 'katkon jälkeinen lukema selvisi',
      EDITED: 'käsittelijä korjasi arvon',
      REVISED: 'mittari toimitti toisen arvon',
      REESTIMATED: 'arvio laskettiin uudelleen',
      ZERO_PROVEN: 'on todettu, ettei sähköä käytetty',
      MOVED: 'sopimus ei ollut silloin voimassa',
      NETTING: 'otto ja anto netotetaan toisin',
    },
    standing: {
      measured: 'mitattu',
      outage: 'sähkökatko, kulutus nolla',
      edited: 'käsittelijän korjaama',
      uncertain: 'mitattu, epävarma',
      estimated: 'arvioitu',
      final: 'lopullisesti arvioitu',
      missing: 'puuttuu',
    },
    meter: 'Mittari',
    first: 'lukema alussa',
    last: 'lukema lopussa',
    unknown: 'ei tiedossa',
    seriesSum: 'Aikasarjan summa',
    advance: 'Lukeman muutos',
    series: 'Lasku perustuu käyttöpaikan tuntisarjan summaan eikä lukemien erotukseen.',
    digest: 'Tarkiste',
    hour: 'Tunti',
    estimates: 'Arvioidut tunnit oikaistaan seuraavalla laskulla, kun mitatut arvot saapuvat.',
  },
};

/** Units of a point as kWh, digit by digit. */
export function kWh(units: number, scaler: number, language: Language): string {
  const text = decimal(String(Math.round(units)), scaler - 3);
  return `${language === 'fi' ? text.replace('.', ',') : text} kWh`;
}
const dayWords = (day: Day, language: Language): string => {
  const [year, month, date] = day.split('-');
  return language === 'fi' ? `${Number(date)}.${Number(month)}.${year}` : day;
};
/** The last day is of the period. */
export const periodWords = ({ from, to }: { from: Day; to: Day }, language: Language): string =>
  from === to ? '–' : `${dayWords(from, language)} – ${dayWords(addDays(to, -1), language)}`;
const number = (value: number, language: Language): string =>
  language === 'fi' ? String(value).replace('.', ',') : String(value);
export const hoursWords = (hours: Hours, language: Language): string =>
  Object.entries(hours)
    .map(([standing, count]) => `${number(count, language)} h ${words[language].standing[standing as Standing]}`)
    .join(', ');
export const reasonsWords = (line: Extract<Line, { kind: 'correction' }>, language: Language): string =>
  Object.entries(line.reasons)
    .map(([reason, count]) => `${words[language].reasons[reason as CorrectionReason]} (${count})`)
    .join('; ');

/** Why the sum of the series is not the advance of the register, in one sentence. */
export function differenceSentence(parts: Difference, scaler: number, language: Language): string {
  const [off, allowed, display] = [Math.abs(parts.difference), parts.rounding, parts.display].map((one) =>
    kWh(one, scaler, language),
  );
  const { netted } = parts;
  if (language === 'fi') {
    if (netted !== 0)
      return `Sarjan summa on ${kWh(netted, scaler, language)} pienempi kuin lukeman muutos, koska otto ja anto on netotettu kunkin jakson sisällä ennen laskutusta; kumpikaan lukema ei laske sitä.`;
    if (parts.difference === 0)
      return `Sarjan summa on täsmälleen lukeman muutos; näyttö jättää pois enintään ${display}.`;
    return `Erotus on ${off}; ${parts.intervals} jakson pyöristys ja lukeman viimeinen numero selittävät enintään ${allowed} ja näytön numerot enintään ${display}.`;
  }
  if (netted !== 0)
    return `The sum of the series is ${kWh(netted, scaler, language)} less than the advance of the register, because import and export were set against each other within each interval before billing, and neither register counts that.`;
  if (parts.difference === 0)
    return `The sum of the series is the advance of the register exactly; the display leaves out at most ${display}.`;
  return `They differ by ${off}; rounding of ${parts.intervals} intervals and the last digit of the register explain at most ${allowed}, the digits of the display at most ${display}.`;
}
/** Why the display said something else when the customer looked. */
export function lookSentence(look: LookDifference, scaler: number, zone: string, language: Language): string {
  const { register, difference, interval } = look;
  const at = localWords(look.at, zone);
  if (register === null || difference === null)
    return language === 'fi' ? `Lukemaa ajalta ${at} ei ole.` : `There is no register from before ${at}.`;
  const [off, used] = [kWh(difference, scaler, language), interval === null ? '?' : kWh(interval, scaler, language)];
  const since = localWords(register.at, zone);
  return language === 'fi'
    ? `Näyttö ${at} oli ${off} suurempi kuin lukema ${since}; siinä tunnissa, jona katsoitte, kulutus oli ${used}.`
    : `The display at ${at} was ${off} above the register at ${since}; in the hour in which you looked ${used} were used.`;
}
