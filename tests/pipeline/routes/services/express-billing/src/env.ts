export const env = {
  PORT: Number(process.env.PORT ?? 4000),
  BASE_PATH: process.env.BASE_PATH ?? '/billing',
} as const;
