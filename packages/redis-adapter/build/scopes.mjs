// Walks the syntax tree of a Lua chunk with its scopes.

/**
 * @typedef {object} Binding of a local name.
 * @property {string} name
 * @property {object} node its identifier
 * @property {object | undefined} value the expression it is initialised with, if it has one of its own
 * @property {object | undefined} owner the function it belongs to; none: the chunk
 */

/**
 * @typedef {object} Visitor
 * @property {(identifier: object, binding: Binding | undefined, functions: readonly object[]) => void} [use]
 *   a name is read or assigned; without a binding it is free
 * @property {(binding: Binding) => void} [define]
 * @property {(node: object, parent: object, lookup: (name: string) => Binding | undefined) => void} [node]
 */

/** Child nodes of a node, in the order of evaluation, by its type. */
const CHILDREN = {
  AssignmentStatement: ['init', 'variables'],
  BinaryExpression: ['left', 'right'],
  CallExpression: ['base', 'arguments'],
  CallStatement: ['expression'],
  IndexExpression: ['base', 'index'],
  LogicalExpression: ['left', 'right'],
  MemberExpression: ['base'],
  ReturnStatement: ['arguments'],
  StringCallExpression: ['base'],
  TableCallExpression: ['base', 'arguments'],
  TableConstructorExpression: ['fields'],
  TableKey: ['key', 'value'],
  TableKeyString: ['value'],
  TableValue: ['value'],
  UnaryExpression: ['argument'],
};

/**
 * @param {readonly object[]} body statements of a chunk
 * @param {Visitor} visitor
 */
export function walk(body, visitor) {
  walkBlock(body, { visitor, names: new Map(), functions: [] });
}

function walkBlock(body, scope) {
  const own = { ...scope, names: new Map(scope.names) };
  for (const statement of body) walkNode(statement, undefined, own);
  return own;
}

function walkAll(nodes, parent, scope) {
  for (const node of nodes) walkNode(node, parent, scope);
}

function define(node, value, scope) {
  const binding = { name: node.name, node, value, owner: scope.functions.at(-1) };
  scope.names.set(node.name, binding);
  scope.visitor.define?.(binding);
}

function walkNode(node, parent, scope) {
  scope.visitor.node?.(node, parent, (name) => scope.names.get(name));
  switch (node.type) {
    case 'Identifier':
      scope.visitor.use?.(node, scope.names.get(node.name), scope.functions);
      return;
    case 'LocalStatement':
      walkAll(node.init, node, scope);
      for (const [at, variable] of node.variables.entries()) define(variable, node.init[at], scope);
      return;
    case 'FunctionDeclaration':
      walkFunction(node, scope);
      return;
    case 'IfStatement':
      for (const { condition, body } of node.clauses) {
        if (condition) walkNode(condition, node, scope);
        walkBlock(body, scope);
      }
      return;
    case 'WhileStatement':
      walkNode(node.condition, node, scope);
      walkBlock(node.body, scope);
      return;
    case 'RepeatStatement':
      walkNode(node.condition, node, walkBlock(node.body, scope));
      return;
    case 'DoStatement':
      walkBlock(node.body, scope);
      return;
    case 'ForNumericStatement':
      walkAll([node.start, node.end, ...(node.step ? [node.step] : [])], node, scope);
      walkLoop([node.variable], node.body, scope);
      return;
    case 'ForGenericStatement':
      walkAll(node.iterators, node, scope);
      walkLoop(node.variables, node.body, scope);
      return;
    default:
      for (const child of CHILDREN[node.type] ?? []) walkAll([node[child]].flat(), node, scope);
  }
}

function walkFunction(node, scope) {
  if (node.isLocal) define(node.identifier, node, scope);
  else if (node.identifier) walkNode(node.identifier, node, scope);
  const own = { ...scope, names: new Map(scope.names), functions: [...scope.functions, node] };
  for (const parameter of node.parameters)
    if (parameter.type === 'Identifier') define(parameter, undefined, own);
  walkBlock(node.body, own);
}

function walkLoop(variables, body, scope) {
  const own = { ...scope, names: new Map(scope.names) };
  for (const variable of variables) define(variable, undefined, own);
  walkBlock(body, own);
}
