import express from 'express';
const router = express.Router();
router.get<{}, string[]>('/', (req, res) => { res.json(['h:emojis']); });
export default router;
