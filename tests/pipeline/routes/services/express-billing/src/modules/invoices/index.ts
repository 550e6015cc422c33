export { invoicesRouter as invoices } from './invoices.routes.js';
