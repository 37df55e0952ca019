// To be imported before @peculiar/x509: one of its dependencies refuses to load where classes have no metadata of types, which
// it asks for while it is loaded. That of this library has none to tell, so "none" is the right answer, and no polyfill is needed.
const none = (): undefined => undefined;
Object.assign(Reflect, { getMetadata: none, getOwnMetadata: none });
