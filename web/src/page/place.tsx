import { useSyncExternalStore, type ReactNode } from "react";

const NAME = "request";

/** Which request is shown stands in the address, so that a reload, a bookmark and the back button know it. */
export function usePlace(): string | null {
  return useSyncExternalStore(listen, () => new URL(location.href).searchParams.get(NAME));
}

function listen(changed: () => void): () => void {
  addEventListener("popstate", changed);
  return () => removeEventListener("popstate", changed);
}

function address(id: string | null): string {
  return id === null ? "/" : `/?${new URLSearchParams({ [NAME]: id })}`;
}

export function go(id: string | null): void {
  history.pushState(null, "", address(id));
  dispatchEvent(new PopStateEvent("popstate"));
  scrollTo(0, 0);
  document.getElementById("main")?.focus({ preventScroll: true });
}

interface PlaceProps {
  to: string | null;
  className?: string;
  current?: boolean;
  children: ReactNode;
}

/** A link to a request, or to the empty page. */
export function Place({ to, className, current, children }: PlaceProps) {
  return (
    <a
      href={address(to)}
      className={className}
      aria-current={current ? "page" : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(to);
      }}
    >
      {children}
    </a>
  );
}
