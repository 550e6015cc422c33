const { Router } = require('express');

const pets = Router({ mergeParams: true });
const cache = new Map();

pets.get('/:pet?', (req, res) => {
  // h:pets
  res.json(cache.get('/x', 1));
});

exports = module.exports = pets;
