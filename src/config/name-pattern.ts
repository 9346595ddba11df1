/** Names of agents and providers. Apart from the schema, so that a command line can be read without it. */
export const namePattern = /^[a-z][a-z0-9_-]{0,31}$/;
