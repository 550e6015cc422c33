export enum Paths {
  Root = '/v1',
  Accounts = '/accounts',
}

export const Segments = {
  tokens: { all: '/tokens', one: '/tokens/:token' },
} as const;
