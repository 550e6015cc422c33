import { Router } from 'express';
const todos = Router();
todos.delete('/:id', async (req, res) => { res.json('h:todo.delete'); });
export async function todoById(req, res) { res.json('h:todo'); }
export { todos as default };
