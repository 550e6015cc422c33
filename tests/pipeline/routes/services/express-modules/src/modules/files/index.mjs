import express from 'express';

export const filesModule = express.Router();

filesModule.get('/:name', sendOne);
filesModule.put('/:name', express.raw(), async function (req, res) {
  // h:files.put
  res.end();
});

async function sendOne(req, res) {
  // h:files.get
  res.end();
}
