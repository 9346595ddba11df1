/**
 * Variables in which people keep the keys of vendors. The gateway does not take keys from there, and a client that runs
 * under an agent's token must not find one: it would go to the vendor past the gateway.
 */
export const vendorKeyPattern =
  /^(?:ANTHROPIC_API_KEY|ANTHROPIC_AUTH_TOKEN|CLAUDE_CODE_OAUTH_TOKEN|AZURE_OPENAI_API_KEY|(?:OPENAI|OPENROUTER|GEMINI|GOOGLE|GOOGLE_GENERATIVE_AI|MISTRAL|DEEPSEEK|XAI|GROQ|CEREBRAS|COHERE|CO|FIREWORKS|PERPLEXITY|TOGETHER)_API_KEY)$/;
