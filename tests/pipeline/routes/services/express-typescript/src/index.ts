import { App } from './server';
import { ReportController } from './controllers/report.controller';

new App([new ReportController()]).listen(4000);
