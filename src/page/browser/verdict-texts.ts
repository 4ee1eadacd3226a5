/**
 * What the gateway's own words mean in both languages: verdicts, marks of intervals, findings. The types are those of the
 * gateway, so that a new verdict without words does not compile; the English is held against the words of the command line by a test.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { FindingKind } from '../../commission/meter-record.ts';
import type { ScanVerdict } from '../../commission/scan-verdict.ts';
import type { Verdict } from '../../reading/verdict.ts';
import type { SeriesGap } from '../../schedule/series-gaps.ts';
import type { Both } from './texts.ts';

export type Severity = 'good' | 'note' | 'warn' | 'bad' | 'unknown';
interface VerdictTexts {
  readonly severity: Severity;
  /** In a few words, for the map. */
  readonly short: Both;
  readonly meaning: Both;
}
const verdict = (severity: Severity, short: Both, meaning: Both): VerdictTexts => ({ severity, short, meaning });

export const verdictTexts: Readonly<Record<Verdict, VerdictTexts>> = {
  UNKNOWN: verdict(
    'unknown',
    ['not asked yet', 'ei vielä kysytty'],
    ['not asked yet since the gateway started', 'ei ole vielä kysytty keskittimen käynnistyksen jälkeen'],
  ),
  REACHABLE: verdict('good', ['answers', 'vastaa'], ['it answers', 'mittari vastaa']),
  BUS_FAULT: verdict(
    'bad',
    ['bus fault', 'väylävika'],
    [
      'nobody can be read over this line: its port, converter, cable, fuse or polarity',
      'väylältä ei saada luettua ketään: portti, muunnin, kaapeli, sulake tai napaisuus',
    ],
  ),
  SUSPECT_MAINS_OR_METER: verdict(
    'bad',
    ['silent', 'ei vastaa'],
    [
      'silent while its neighbours answer: its mains, its wires or the meter',
      'hiljaa, vaikka naapurit vastaavat: syöttö, johdot tai itse mittari',
    ],
  ),
  POWER_LOST: verdict(
    'bad',
    ['power lost', 'jännite poissa'],
    [
      'silent, and the last that its log told was a power-down',
      'hiljaa, ja lokin viimeinen merkintä oli jännitteen katoaminen',
    ],
  ),
  SUPPLY_OFF_BY_METER_SWITCH: verdict(
    'note',
    ['switch open', 'katkaisija auki'],
    [
      'it answers, and its own switch is open: that nothing is counted is true',
      'vastaa, ja oma katkaisija on auki: nollakulutus on totta',
    ],
  ),
  SECURITY_FAULT: verdict(
    'bad',
    ['does not let us in', 'ei päästä sisään'],
    [
      'it is alive and does not let us in, or cannot be trusted: password, keys, counter',
      'elossa, mutta ei päästä sisään tai siihen ei voi luottaa: salasana, avaimet, laskuri',
    ],
  ),
  IDENTITY_MISMATCH: verdict(
    'bad',
    ['another meter', 'väärä mittari'],
    [
      'another meter answers than the configured one; its rows are held back',
      'vastaa muu kuin asetuksissa oleva mittari; sen rivit pidätetään',
    ],
  ),
  LINE_QUALITY: verdict(
    'warn',
    ['damaged frames', 'kehykset vaurioituvat'],
    [
      'it answers, and many frames come damaged: termination, shield, speed',
      'vastaa, mutta moni kehys tulee vaurioituneena: päätevastus, suojavaippa, nopeus',
    ],
  ),
  METER_FAULT: verdict(
    'bad',
    ['meter fault', 'mittarivika'],
    ['it answers, but not as it should', 'vastaa, mutta ei niin kuin pitäisi'],
  ),
  CONFIG_FAULT: verdict(
    'bad',
    ['configuration', 'asetusvika'],
    [
      'its configuration does not hold, or does not fit it: secret, key, model, period, right of its client',
      'asetukset eivät kelpaa tai sovi mittariin: salaisuus, avain, malli, jakso tai lukuoikeus',
    ],
  ),
  GATEWAY_FAULT: verdict(
    'bad',
    ['gateway fault', 'keskitinvika'],
    [
      'what failed is of the gateway itself; the meter is not to blame',
      'vika on keskittimessä itsessään, ei mittarissa',
    ],
  ),
};

export const gapTexts: Readonly<Record<SeriesGap['state'], Both>> = {
  PENDING: ['not read yet', 'ei vielä luettu'],
  UNACKNOWLEDGED: [
    'stored, and the head-end has not said that it has it',
    'tallessa, keskusjärjestelmä ei ole vielä kuitannut',
  ],
  MISSING: ['the meter answered and has no row', 'mittari vastasi, eikä sillä ole riviä'],
  OUTAGE: [
    'no power: the registers prove that nothing was counted',
    'ei jännitettä: rekisterit todistavat, ettei mitään laskettu',
  ],
  LOST: ['the meter no longer has the row', 'mittarilla ei ole enää riviä'],
  STORE_DAMAGED: ['it was stored, and the store was damaged', 'oli tallessa, mutta tietovarasto vaurioitui'],
  'UNCERTAIN/device': ['measured; the meter doubts the value', 'mitattu; mittari epäilee arvoa'],
  'UNCERTAIN/clock': [
    "measured; the meter's clock was set or is in doubt",
    'mitattu; mittarin kelloa aseteltiin tai se on epävarma',
  ],
  REGISTER_BACKWARD: ['the register fell: no energy is told', 'rekisteri pieneni: energiaa ei ilmoiteta'],
};

interface FindingTexts {
  readonly severity: Severity;
  readonly short: Both;
  /** The next step in Finnish; in English it is the gateway's own. */
  readonly nextFi: string;
}
const finding = (severity: Severity, short: Both, nextFi: string): FindingTexts => ({ severity, short, nextFi });
const termination = 'Mittaa 120 ohmia väylän molemmista päistä eikä muualta; tarkista suojavaippa, haara ja liittimet.';
export const scanTexts: Readonly<Record<ScanVerdict, FindingTexts>> = {
  found: finding('good', ['found', 'löytyi'], 'Ei mitään.'),
  'not-listed': finding(
    'note',
    ['not in the list', 'ei listalla'],
    'Lue mittarin kilpi ja kysy toimistolta, mihin se kuuluu.',
  ),
  'address-reversed': finding(
    'warn',
    ['address reversed', 'osoite käännetty'],
    'Käyttöönotto kirjoittaa osoitteen oikein päin. Merkitse se mittarien ohjelmoijalle.',
  ),
  'unknown-kind': finding(
    'warn',
    ['unknown kind', 'tuntematon malli'],
    'Katso sen kohteet: meter-gateway browse. Jos ne ovat standardin mukaiset, kirjoita listaan malli generic; muuten tarvitaan oma malli.',
  ),
  moved: finding(
    'bad',
    ['meters exchanged', 'mittarit vaihtuneet'],
    'Lue kummankin paikan kilvet: mittarit tai niiden osoitteet ovat vaihtuneet keskenään.',
  ),
  'another-serial': finding(
    'bad',
    ['another meter', 'väärä mittari'],
    'Lue tämän paikan mittarin kilpi: siellä on toinen mittari kuin listalla. Korjaa lista tai mittari.',
  ),
  refused: finding(
    'bad',
    ['refused', 'torjuu'],
    'Mittari ei päästä julkista lukijaa sisään: kysy tunnukset ja salasana, älä kokeile montaa kertaa.',
  ),
  mute: finding(
    'bad',
    ['does not say who it is', 'ei kerro nimeään'],
    'Hae uudelleen; jos toistuu, lue mittarin kilpi.',
  ),
  noisy: finding('warn', ['damaged octets', 'häiriöitä'], termination),
  damaged: finding('bad', ['damaged octets only', 'vain häiriöitä'], termination),
  collision: finding(
    'bad',
    ['two with one address', 'kaksi samalla osoitteella'],
    'Kahdella mittarilla on sama osoite: irrota toinen väylältä, ja anna toiselle uusi osoite.',
  ),
  'no-answer': finding(
    'bad',
    ['nothing came', 'ei vastausta'],
    'Tarkista mittarin jännite, A- ja B-johdot sen liittimissä ja osoite kilvestä.',
  ),
  'echo-only': finding(
    'bad',
    ['only our echo', 'vain oma kaiku'],
    'Sovitin toimii: tarkista mittarin jännite, A/B-napaisuus ja kaapeli sovittimesta eteenpäin.',
  ),
  'other-speed': finding('warn', ['other speed', 'toinen nopeus'], 'Aseta väylälle nopeus, jolla mittarit vastaavat.'),
  'other-port': finding(
    'warn',
    ['other TCP port', 'toinen TCP-portti'],
    'Aseta väylälle portti, jossa mittarit vastaavat.',
  ),
  'line-silent': finding(
    'bad',
    ['line silent', 'väylä hiljaa'],
    'Tarkista sovittimen sähkö, A/B-napaisuus sen liittimissä, kaapeli ensimmäiselle mittarille ja päätevastus.',
  ),
  'line-damaged': finding('bad', ['line damaged', 'väylä häiriöinen'], termination),
};

export const kindTexts: Readonly<Record<FindingKind, readonly [short: Both, nextFi: string]>> = {
  'no answer': [
    ['no answer', 'ei vastaa'],
    'Tarkista mittarin jännite, A- ja B-johdot sen liittimissä ja osoite kilvestä.',
  ],
  address: [['address', 'osoite'], 'Keskitin kirjoittaa osoitteen oikein. Merkitse se mittarien ohjelmoijalle.'],
  collision: [
    ['collision', 'osoitetörmäys'],
    'Irrota toinen samanosoitteisista mittareista väylältä ja anna sille uusi osoite.',
  ],
  'damaged answers': [['damaged answers', 'vastaukset vaurioituvat'], termination],
  line: [['line', 'linja'], termination],
  'wrong serial': [
    ['wrong serial number', 'väärä sarjanumero'],
    'Lue mittarin kilpi: paikalla on toinen mittari. Korjaa lista tai mittari.',
  ],
  'wrong keys': [
    ['wrong keys', 'väärät avaimet'],
    'Pyydä oikeat avaimet toimistosta tämän sarjanumeron mukaan. Älä kokeile: mittari lukittuu.',
  ],
  'wrong password': [
    ['wrong password', 'väärä salasana'],
    'Pyydä oikea salasana toimistosta. Älä kokeile montaa kertaa: mittari lukittuu.',
  ],
  refused: [['refused', 'torjuu'], 'Tarkista asiakasnumero ja tunnistautumistapa mittarin kortista.'],
  'unknown kind': [
    ['unknown kind', 'tuntematon malli'],
    'Anna mittarille malli, tai tilaa sille oma malli: meter-gateway browse --save.',
  ],
  clock: [['clock', 'kello'], 'Aseta mittarin kello, tai salli keskittimen asettaa se.'],
  'summer time': [
    ['summer time', 'kesäaika'],
    'Korjaa mittarin kesäaika-asetus: se ilmoittaa kesäaikaa ympäri vuoden.',
  ],
  ratio: [['ratio', 'muuntosuhde'], 'Lue muuntajien kilvet ja korjaa joko mittarin muuntosuhde tai lista.'],
  profile: [['load profile', 'kuormitussarja'], 'Aseta asetuksiin se kuormitussarja, joka mittarissa on.'],
  'profile period': [
    ['capture period', 'rekisteröintijakso'],
    'Aseta asetuksiin mittarin jakso (period_s), tai ohjelmoi mittari.',
  ],
  'sum check': [
    ['sum check', 'summatarkistus'],
    'Jaksojen summa ei täsmää rekisteriin: tarkista muuntosuhde ja sarjan yksikkö.',
  ],
  display: [['display', 'näyttö'], 'Lue näyttö uudelleen; jos ero pysyy, muuntosuhde on väärin jommassakummassa.'],
  switch: [['switch', 'katkaisija'], 'Mittarin katkaisija on auki: kytke se, jos sähkön pitää olla päällä.'],
  configuration: [['configuration', 'asetukset'], 'Korjaa mittarin asetukset ja tarkista: meter-gateway config check.'],
  other: [['other', 'muu'], 'Ota talteen istunto (--trace) ja ilmoita mittarin malli.'],
};

/** Next steps in Finnish by code; what is not here is shown as the gateway says it. */
export const nextFi: Partial<Record<ErrorCode, string>> = {
  'no-answer':
    'Tarkista jännite, A/B-napaisuus, osoite ja nopeus; TCP:llä myös, puhuuko se HDLC:tä vai wrapperia (link).',
  'bus-silent':
    'Katso mikä on yhteistä: sovittimen sähkö, A/B-napaisuus, kaapeli ensimmäiselle mittarille, päätevastus; sitten nopeus.',
  'echo-only':
    'Vain omat tavut palaavat: sovitin toimii. Tarkista mittarin jännite, A/B-napaisuus, kaapeli, osoite ja nopeus.',
  'damaged-answer': 'Tavut saapuvat vaurioituneina: tarkista päätevastus, suojavaippa, maadoitus ja nopeus.',
  'fell-silent':
    'Vastasi ensin ja vaikeni: yritä uudelleen; jos toistuu samassa kohdassa, ota istunto talteen (--trace) ja ilmoita malli.',
  'answer-too-slow':
    'Tavuja tulee, mutta ei vastausta ajoissa: tarkista, kuka muu lähettää väylällä, nopeus ja mittari.',
  'port-missing': 'Tarkista sovittimen kaapeli ja laitteen nimi: ls -l /dev/serial/by-id',
  'port-lost': 'Portti katosi: irtosiko sovitin? Tarkista kaapeli ja dmesg.',
  'port-busy': 'Toinen ohjelma käyttää porttia: pysäytä se.',
  'port-denied': 'Anna palvelulle oikeus porttiin: ryhmä dialout ja DeviceAllow=.',
  'host-missing':
    'Tarkista, että mittari tai muunnin on verkossa tässä osoitteessa eikä kukaan muu pidä sen ainoaa yhteyttä.',
  'connection-lost':
    'Yhteys katkesi kesken istunnon: yritä uudelleen; jos toistuu, katso käyttääkö toinen lukija mittaria.',
  'authentication-refused':
    'Tarkista salasana tai avaimet. Älä yritä monta kertaa: mittari lukittuu jopa vuorokaudeksi.',
  'authentication-required': 'Tämä asiakas tarvitsee tunnistautumisen: auth ja secret asetuksiin.',
  'association-refused': 'Tarkista asiakas- ja palvelinosoite, tunnistautuminen sekä avaimet ja malli.',
  'mechanism-refused': 'Mittari haluaa toisen tunnistautumistavan: aseta auth oikein (lls tai jokin hls-…).',
  'deciphering-failed': 'Tarkista salaus- ja tunnistusavain. Ei yritetä itsestään uudelleen: mittarit lukittuvat.',
  'backed-off':
    'Korjaa ensin avain, salasana tai asiakasnumero ja yritä kerran. Jokainen yritys lähentää lukkiutumista.',
  'identity-mismatch': 'Tässä osoitteessa vastaa toinen mittari: tarkista sarjanumero mittarin kilvestä.',
  'period-mismatch': 'Aseta sarjan period_s siksi, mitä mittari rekisteröi.',
  'access-refused': 'Tämä asiakas ei saa lukea kohdetta, tai mittarilla ei ole sitä.',
  'secret-missing': 'Korjaa viittaus salaisuuteen tai itse salaisuus, ja lataa asetukset uudelleen.',
  'link-disconnected': 'Mittari sulki yhteyden: odota kaksi minuuttia ja yritä uudelleen.',
  'frame-rejected': 'Yritä uudelleen; jos toistuu, aseta mittarille max_info = 128 ja window = 1.',
  'counter-implausible':
    'Vertaa laskuria mittarin näyttöön tai valmistajan ohjelmaan. Jos oikein: meter-gateway meter counter accept.',
  'replayed-counter':
    'Vastaus tuli käytetyllä laskurilla: joku voi toistaa liikennettä. Jos mittari menetti laskurinsa: meter counter accept.',
  busy: 'Se työskentelee toiselle: odota ja kysy uudelleen.',
  'not-permitted': 'Avaa sivu linkillä, jolla on oikeus toimia: meter-gateway page asentajaryhmän jäsenenä.',
  'config-invalid': 'Korjaa tiedosto ja aja meter-gateway config check.',
  'gateway-stops': 'Keskitin oli sammumassa tai vaihtamassa asetuksia: kysy hetken päästä uudelleen.',
  'unknown-meter': 'Mittaria ei ole voimassa olevissa asetuksissa: lataa asetukset uudelleen.',
  'bad-argument': 'Tarkista, mitä kirjoitettiin.',
  'time-unknown': 'Aseta kello (timedatectl) tai anna aikapalvelimen asettaa se; luku alkaa itsestään.',
  'file-unusable': 'Tarkista levyn tila ja oikeudet. Aiempi sisältö on ennallaan.',
  'store-failed': 'Tarkista levyn tila, oikeudet ja kunto sekä muisti: df -h, free -m, dmesg.',
};
