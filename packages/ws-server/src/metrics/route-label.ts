/** Label of a request in metrics: the template of its path, never the path. */
export interface RouteLabel {
  readonly method: string;
  readonly route: string;
}
