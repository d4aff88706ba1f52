/** The shop's own pages, with the built client as a browser loads it. */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";

const BUILT = new URL("../../", import.meta.url);
const PAGE = "<!doctype html><title>shop</title><link rel=icon href='data:,'>";

export async function servePages(port: number): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://localhost");
    if (!/^\/src\/[\w-]+\.js$/.test(pathname)) {
      response.setHeader("Content-Type", "text/html").end(PAGE);
      return;
    }
    // A page of another origin may load it too: the API's own, in one scenario.
    const headers = { "Content-Type": "text/javascript", "Access-Control-Allow-Origin": "*" };
    readFile(new URL(`.${pathname}`, BUILT)).then(
      (script) => response.writeHead(200, headers).end(script),
      (error: unknown) => response.writeHead(404).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(port, "localhost", resolve));
  return server;
}
