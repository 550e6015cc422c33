import { createServer } from './server.js';
import { env } from './env.js';

const app = await createServer();
app.listen(env.PORT);
