/** Text as it stands in HTML and XML. */
export const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (sign) => `&#${sign.codePointAt(0) ?? 63};`).replaceAll(/\p{Cc}/gu, ' ');
