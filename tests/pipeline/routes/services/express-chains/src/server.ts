import express, { type Express } from "express";
import morgan from "morgan";
export const createServer = (): Express => {
  const app = express();
  app
    .disable("x-powered-by")
    .use(morgan("dev"))
    .use(express.json())
    .get("/message/:name", (req, res) => {
      return res.json({ message: `h:message` });
    })
    .get("/status", (_, res) => {
      return res.json({ ok: 'h:status' });
    });
  return app;
};
