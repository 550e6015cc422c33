export { default as usersModule } from './users/index.mjs';
export * from './files/index.mjs';
