/**
 * For tests of stages and sinks of your own: `mcp-metrics-gateway/testing`. A contract is a list of checks for any test
 * runner; the samples are what the gateway hands to plugins.
 */
export { ContractError } from './contract.ts';
export type { ContractCheck } from './contract.ts';
export { processorContract } from './processor-contract.ts';
export type { ProcessorContractOptions } from './processor-contract.ts';
export { sampleBatch, sampleEnriched, sampleEvents } from './samples.ts';
export { sinkContract } from './sink-contract.ts';
export type { SinkContractOptions } from './sink-contract.ts';
