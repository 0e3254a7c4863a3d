const NAME = "maquette.token";

/** The token that was entered in this browser tab, for as long as the tab is open. */
export function keptToken(): string | null {
  return sessionStorage.getItem(NAME);
}

export function keepToken(token: string): void {
  sessionStorage.setItem(NAME, token.trim().replace(/^bearer\s+/i, ""));
}

export function forgetToken(): void {
  sessionStorage.removeItem(NAME);
}
