import { Watched } from "../parts/watched.ts";

export const showHelp = new Watched(false);
