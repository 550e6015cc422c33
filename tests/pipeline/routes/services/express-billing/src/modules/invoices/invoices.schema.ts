import { z } from 'zod';

export const createInvoiceSchema = z.object({ total: z.number() });
