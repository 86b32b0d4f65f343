import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const COMPRESSED = /\.(js|css|svg|html|json|webmanifest)$/;

/** Beside each file its `.br` and `.gz`: made once here, and never by the server. */
function precompress(): Plugin {
  return {
    name: "precompress",
    apply: "build",
    closeBundle() {
      for (const entry of readdirSync("dist", { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !COMPRESSED.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const body = readFileSync(path);
        const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 };
        writeFileSync(`${path}.br`, brotliCompressSync(body, { params: quality }));
        writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
      }
    },
  };
}

/** What the browser keeps for when there is no network: all that the page may ask for. */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    closeBundle() {
      const files = readdirSync("dist/assets").sort();
      const version = createHash("sha256");
      const source = readFileSync("src/offline/service_worker.js", "utf8");
      for (const path of ["index.html", ...files.map((name) => `assets/${name}`)]) {
        version.update(path).update(readFileSync(join("dist", path)));
      }
      const known = [
        `const VERSION = ${JSON.stringify(version.digest("hex").slice(0, 16))};`,
        `const FILES = ${JSON.stringify(files)};`,
      ];
      writeFileSync("dist/service-worker.js", `${known.join("\n")}\n\n${source}`);
    },
  };
}

export default defineConfig({
  // Relative, so that the app works behind any path prefix.
  base: "./",
  plugins: [react(), serviceWorker(), precompress()],
  build: {
    target: "es2022",
    manifest: true,
    // A policy without inline scripts and styles also forbids what Vite would put into the page itself.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // What every start needs is one file, whatever lazy pages share of it: it is smaller than its parts are.
        codeSplitting: {
          groups: [{ name: "start", tags: ["$initial"], test: (id) => !/main\.tsx|index\.html/.test(id) }],
        },
      },
    },
  },
});
