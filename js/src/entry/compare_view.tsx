import { widget } from "../mount";
import { CompareMaps } from "../views/compare";

export default widget(CompareMaps, "Compare maps");
