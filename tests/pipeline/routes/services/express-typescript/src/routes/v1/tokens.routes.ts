import express from 'express';
import { Segments } from '../../shared/paths';

const tokensRouter = express.Router();

tokensRouter
  .get(Segments.tokens.all, (req, res) => {
    // h:tokens.list
    res.json([]);
  })
  .delete(Segments.tokens.one, (req, res) => {
    // h:tokens.revoke
    res.sendStatus(204);
  });

export default tokensRouter;
