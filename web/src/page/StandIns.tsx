import { useQuery } from "@apollo/client/react";
import { PROVIDERS } from "./operations";

const WORDS: Record<string, string> = {
  image: "pictures are drawn by rules on this machine",
  model: "a model is its picture in relief",
};

/** Says so where no services stand behind the pictures or models. */
export function StandIns() {
  const { data } = useQuery(PROVIDERS);
  const words = data?.providers.flatMap(({ part, isStandIn }) => (isStandIn ? (WORDS[part] ?? []) : [])) ?? [];
  return words.length > 0 && (
    <p className="standins note">
      <b>Offline stand-ins are in use:</b> {words.join(", and ")}. Whoever runs this server can set up real services.
    </p>
  );
}
